//! The whole server in made-up worlds.

mod actors;
mod echo;
mod planted;
mod sessions;
