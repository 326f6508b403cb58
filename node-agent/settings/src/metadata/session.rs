//! One session with a metadata service.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    http::{Answer, Request},
    service::{Encoding, Item, Service},
};
use crate::{
    Kind, Rank, Source,
    problem::Problem,
    values::{Secret, Text},
};

/// The longest token; EC2's has 56 letters.
const MAX_TOKEN: usize = 1024;

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// On with [`Session::request`].
    Next,
    /// The service cannot say yet: ask the same once more, in a while.
    Again,
}

/// A source that the service gave. There may be secrets in it: its bytes are not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Found {
    name: &'static str,
    kind: Kind,
    bytes: Vec<u8>,
}

impl std::fmt::Debug for Found {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.source().fmt(formatter)
    }
}

impl Found {
    /// As the settings read it.
    pub fn source(&self) -> Source<'_> {
        Source { name: self.name, rank: Rank::Metadata, kind: self.kind, bytes: &self.bytes }
    }
}

/// One conversation: take a request, send it, give the answer, until there is no request left.
#[derive(Debug)]
pub struct Session {
    service: Service,
    token: Token,
    questions: std::slice::Iter<'static, Item>,
    current: Option<&'static Item>,
    found: Vec<Found>,
    problems: Vec<Problem>,
}

/// How far we are with the token.
#[derive(Debug)]
enum Token {
    /// It has to be asked for.
    Wanted,
    /// The service gave it.
    Held(Secret),
    /// The service knows none.
    None,
}

impl Session {
    /// A new one.
    pub fn new(service: Service) -> Self {
        let token = if service.token_request().is_some() { Token::Wanted } else { Token::None };
        let mut questions = service.questions().iter();
        let current = questions.next();
        Self { service, token, questions, current, found: Vec::new(), problems: Vec::new() }
    }

    /// What is to be sent now; None if there is nothing left to ask.
    pub fn request(&self) -> Option<Request> {
        let item = self.current?;
        let token = match &self.token {
            Token::Wanted => return self.service.token_request(),
            Token::Held(token) => Some(token),
            Token::None => None,
        };
        let headers = self.service.headers(token);
        let from_privileged_port = self.service.wants_privileged_port();
        Some(Request { method: "GET", host: self.service.host(), path: item.path, headers, from_privileged_port })
    }

    /// What came back for the last request.
    pub fn answer(&mut self, answer: Answer<'_>) -> Step {
        match answer.status {
            // Under load, or not yet ready for a machine that has just started. (410 is Azure's way to say it.)
            410 | 429 | 500..=599 => return Step::Again,
            _ if matches!(self.token, Token::Wanted) => self.token = self.token_in(answer),
            200 => {
                self.take(answer.body);
                self.current = self.questions.next();
            }
            // Nothing was given to this machine. (204 is Alibaba Cloud's way to say it.)
            204 | 404 => self.current = self.questions.next(),
            status => {
                self.problem(&format!("its metadata service answered with the status {status}"));
                self.current = self.questions.next();
            }
        }
        Step::Next
    }

    /// Ends the conversation, since nothing came back, tries included: `reason` says why.
    pub fn give_up(&mut self, reason: &str) {
        self.problem(&format!("its metadata service gives no answer: {reason}"));
        self.current = None;
    }

    /// What the service gave, and what went wrong.
    pub fn finish(self) -> (Vec<Found>, Vec<Problem>) {
        (self.found, self.problems)
    }

    /// Takes in what is asked for now. An empty answer is some services' way to say that there is none.
    fn take(&mut self, body: &[u8]) {
        let Some(Item { name, kind, encoding, .. }) = self.current else { return };
        if body.trim_ascii().is_empty() {
            return;
        }
        let decoded = || {
            let letters: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
            STANDARD.decode(letters).ok()
        };
        let bytes = match encoding {
            Encoding::Plain => Some(body.to_vec()),
            Encoding::Base64 => decoded(),
            Encoding::MaybeBase64 => Some(decoded().unwrap_or_else(|| body.to_vec())),
        };
        match bytes {
            Some(bytes) => self.found.push(Found { name, kind: *kind, bytes }),
            None => self.problem("its metadata service answered with something that is not base64"),
        }
    }

    /// Where tokens are unknown or switched off, questions are answered without.
    fn token_in(&mut self, answer: Answer<'_>) -> Token {
        if answer.status != 200 {
            return Token::None;
        }
        let token = std::str::from_utf8(answer.body).ok().map(str::trim);
        let token = token.filter(|token| token.len() <= MAX_TOKEN && token.bytes().all(|byte| byte.is_ascii_graphic()));
        match token.and_then(|token| Secret::parse(token).ok()) {
            Some(token) => Token::Held(token),
            None => {
                self.problem("its metadata service answered with something that is no token");
                Token::None
            }
        }
    }

    fn problem(&mut self, what: &str) {
        let file = self.current.map_or("the cloud", |item| item.name).to_owned();
        let expected = String::new();
        self.problems.push(Problem { file, place: None, key: None, what: what.to_owned(), expected });
    }
}
