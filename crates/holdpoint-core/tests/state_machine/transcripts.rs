//! Single stories, by what they are about.

mod attempts;
mod bounds;
mod cluster;
mod policies;
mod redeeming;
mod time;
