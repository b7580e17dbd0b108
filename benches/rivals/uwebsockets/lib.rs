//! Empty: cargo fetches the sources of uWebSockets for this package, and `build` compiles them.
