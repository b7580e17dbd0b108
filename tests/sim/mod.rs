//! The whole server in made-up worlds.

mod actors;
mod asks;
mod board;
mod echo;
mod families;
mod futures;
mod groups;
mod low;
mod middleware;
mod moves;
mod names;
mod outbox;
mod outside;
mod packets;
mod placing;
mod planted;
mod rings;
mod room_bounds;
mod room_order;
mod rooms;
mod sessions;
mod signed_in;
mod terms;
mod treadmill;
mod users;
mod views;
mod watches;
mod work;

/// So many seeds, times `SEEDS_TIMES` of the environment.
fn seeds(seeds: u64) -> std::ops::Range<u64> {
    let times =
        std::env::var("SEEDS_TIMES").map_or(1, |times| times.parse().expect("SEEDS_TIMES is a number"));
    0..seeds * times
}
