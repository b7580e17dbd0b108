//! `src/ring` under loom.
