//! Metadata services of clouds, the pure half: whom to ask, which requests in which order, and what an answer means. Whoever
//! calls sends the requests; a machine that none of the services is known for asks none.

mod dmi;
mod http;
mod service;
mod session;
#[cfg(test)]
mod tests;

pub use self::{
    dmi::Dmi,
    http::{Answer, Request},
    service::Service,
    session::{Found, Session, Step},
};
