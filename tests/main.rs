//! Promises of the library, one test binary; a test's name is its promise.

mod buf;
mod sim;
mod topology;
mod wire;
