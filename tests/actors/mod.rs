//! The actors that come with corewire, in made-up worlds and on the wire.

mod gateway;
mod sbe;
mod typed;
