//! The whole server in made-up worlds.

mod echo;
mod planted;
mod sessions;
