//! Other servers, to compare with: each a binary behind a feature of its name, one thread, as its own docs recommend.
//!
//! `rival-NAME --port N` listens on 127.0.0.1 and prints "listening on 127.0.0.1:N" when it does. uWebSockets, which is
//! C++, lies in the folder `uwebsockets` beside this package.

#[cfg(feature = "serve")]
mod gather;
#[cfg(feature = "serve")]
mod serve;

#[cfg(feature = "serve")]
pub use gather::Gathered;
#[cfg(feature = "serve")]
pub use serve::serve;
