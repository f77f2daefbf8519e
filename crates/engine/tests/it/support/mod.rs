//! A small world: a database and a store in a temporary folder, an engine, and registries that do as told.

mod ahead;
pub(crate) mod world;

pub(crate) use ahead::Ahead;
pub(crate) use longshore_testkit::ScriptedRegistry;
pub(crate) use world::World;
