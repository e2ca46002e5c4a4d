//! One file for each command; its name is the command's.

pub(crate) mod bench;
pub(crate) mod build;
pub(crate) mod ci;
pub(crate) mod codegen;
pub(crate) mod db;
pub(crate) mod deploy;
pub(crate) mod dev;
pub(crate) mod doctor;
pub(crate) mod fmt;
pub(crate) mod fuzz;
pub(crate) mod image;
pub(crate) mod model;
