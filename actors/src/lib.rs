//! Actors that come with corewire, built on its public interface only.
