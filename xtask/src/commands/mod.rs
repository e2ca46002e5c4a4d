//! One file for each command; its name is the command's.

pub mod bench;
pub mod build;
pub(crate) mod ci;
pub(crate) mod codegen;
pub(crate) mod db;
pub(crate) mod deploy;
pub mod dev;
pub(crate) mod doctor;
pub(crate) mod fmt;
pub(crate) mod fuzz;
pub mod image;
pub(crate) mod model;
pub(crate) mod release;
pub(crate) mod soak;
