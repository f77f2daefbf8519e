//! A small world: a database and storage in a temporary folder, an engine, and scripted registries.

mod ahead;
pub(crate) mod world;

pub(crate) use ahead::Ahead;
pub(crate) use longshore_testkit::ScriptedRegistry;
pub(crate) use world::World;
