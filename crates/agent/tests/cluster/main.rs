//! The reconcile layer on a real API server: `BROKKR_TEST_KUBECONFIG` names it, and nothing else is read.
//! Every test has namespaces, stacks and records of its own.

mod access;
mod accidents;
mod adopting;
mod announcing;
mod applying;
mod bed;
mod broker;
mod ceding;
mod crashes;
mod describing;
mod drift;
mod environment;
mod guard;
mod health;
mod ignoring;
mod impersonating;
mod kinds;
mod logging;
mod monitoring;
mod ownership;
mod pruning;
mod records;
mod rehearsing;
mod remaking;
mod removing;
mod running;
mod speed;
mod watching;
mod windows;
