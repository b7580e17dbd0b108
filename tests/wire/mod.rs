//! `wire`: the RFC sentence by sentence, what no input can change, and what hostile clients try.

mod attacks;
mod machine;
mod properties;
mod rfc6455;
mod support;
