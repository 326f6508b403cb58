//! User-data in its wrappings: gzip (RFC 1952) and MIME messages (RFC 2046), as cloud-init's users write them to fit several
//! texts into one. All that is unpacked together has the limit of one source, so nothing small becomes large.

use std::{borrow::Cow, io::Read};

use flate2::bufread::MultiGzDecoder;
use mail_parser::{Message, MessageParser, MessagePart, MimeHeaders, PartType};

use super::{limits::MAX_BYTES, text::whole};
use crate::problem::Problem;

/// What gzip begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// More parts are not from somebody who wrote them for one node.
const MAX_PARTS: usize = 32;

/// How far into a text cloud-init looks for MIME's header.
const HEAD_BYTES: usize = 4096;

/// A text as it was before it was wrapped.
#[derive(Debug)]
pub(super) struct Part<'a> {
    /// The source's name; with the part's, if it was one of several.
    pub(super) name: String,
    pub(super) bytes: Cow<'a, [u8]>,
    /// Whether its header says that it is a cloud-config.
    pub(super) is_cloud_config: bool,
}

/// What is in the source `name`, in its order, and what of it cannot be read.
pub(super) fn parts<'a>(name: &str, bytes: &'a [u8]) -> (Vec<Part<'a>>, Vec<Problem>) {
    let mut room = MAX_BYTES;
    let bytes = match plain(name, bytes, &mut room) {
        Ok(bytes) => bytes,
        Err(problem) => return (Vec::new(), vec![problem]),
    };
    let Some(message) = message_in(&bytes).filter(|_| bytes.len() <= MAX_BYTES) else {
        return (vec![Part { name: name.to_owned(), bytes, is_cloud_config: false }], Vec::new());
    };
    let message = MessageParser::new().with_mime_headers().parse(message);
    let (parts, mut problems) = message.map(|message| leaves(name, &message)).unwrap_or_default();
    if parts.is_empty() && problems.is_empty() {
        let what = "it is a MIME message without a part that can be read; nothing in it applies";
        problems.push(whole(name, what, "parts between its boundaries"));
    }
    (parts, problems)
}

/// `bytes` as they are, or decompressed; takes what those have from `room`.
fn plain<'a>(name: &str, bytes: &'a [u8], room: &mut usize) -> Result<Cow<'a, [u8]>, Problem> {
    if !bytes.starts_with(&GZIP) {
        return Ok(Cow::Borrowed(bytes));
    }
    let mut plain = Vec::new();
    let read = MultiGzDecoder::new(bytes).take(*room as u64 + 1).read_to_end(&mut plain);
    if let Err(error) = read {
        let what = format!("it is compressed with gzip and damaged: {error}; nothing in it applies");
        return Err(whole(name, &what, ""));
    }
    *room = room.checked_sub(plain.len()).ok_or_else(|| {
        let what = format!("it has more than {} KiB when it is decompressed; nothing in it applies", MAX_BYTES / 1024);
        whole(name, &what, "")
    })?;
    Ok(Cow::Owned(plain))
}

/// The MIME message that a text is, if it begins with the headers of one.
fn message_in(bytes: &[u8]) -> Option<&[u8]> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes).trim_ascii_start();
    let head = String::from_utf8_lossy(bytes.get(..HEAD_BYTES).unwrap_or(bytes)).to_ascii_lowercase();
    let mut lines = head.lines();
    let first = lines.next()?;
    let is_header = first.split_once(':').is_some_and(|(name, _)| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    });
    let says_mime = |line: &str| line.starts_with("mime-version:");
    let is_message = is_header && (first.starts_with("content-type:") || says_mime(first) || lines.any(says_mime));
    is_message.then_some(bytes)
}

/// The parts that hold something, however they lie in each other.
fn leaves(source: &str, message: &Message<'_>) -> (Vec<Part<'static>>, Vec<Problem>) {
    let (mut parts, mut problems) = (Vec::new(), Vec::new());
    let mut room = MAX_BYTES;
    let leaves = message.parts.iter().filter(|part| !part.is_multipart());
    for (index, part) in leaves.enumerate() {
        if index == MAX_PARTS {
            let what = format!("it has more than {MAX_PARTS} parts; those behind them do not apply");
            problems.push(whole(source, &what, ""));
            break;
        }
        let name = part.attachment_name().map_or_else(|| format!("part {}", index + 1), str::to_owned);
        let name = format!("{source}:{name}");
        let bytes = match &part.body {
            PartType::Text(text) | PartType::Html(text) => text.as_bytes(),
            PartType::Binary(bytes) | PartType::InlineBinary(bytes) => bytes,
            PartType::Message(_) | PartType::Multipart(_) => {
                problems.push(whole(&name, "it is a message within a message; nothing in it applies", ""));
                continue;
            }
        };
        if bytes.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match plain(&name, bytes, &mut room) {
            Ok(bytes) => {
                let bytes = Cow::Owned(bytes.into_owned());
                parts.push(Part { name, bytes, is_cloud_config: is_cloud_config(part) });
            }
            Err(problem) => problems.push(problem),
        }
    }
    (parts, problems)
}

fn is_cloud_config(part: &MessagePart<'_>) -> bool {
    let subtype = part.content_type().filter(|kind| kind.ctype().eq_ignore_ascii_case("text"));
    subtype.and_then(|kind| kind.subtype()).is_some_and(|subtype| subtype.eq_ignore_ascii_case("cloud-config"))
}
