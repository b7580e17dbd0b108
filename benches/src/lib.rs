//! The numbers that we watch.
