//! The numbers that we watch: what `make bench` measures beside rivals, and what it makes of that.

pub mod compare;
