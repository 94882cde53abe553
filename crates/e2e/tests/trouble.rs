//! What happens around a broker: its database goes, stands still, fills up and forgets; its replicas end; its clients are
//! slow, or too many.

mod cut_off;
mod flood;
mod full_disk;
mod herd;
mod little_memory;
mod load;
mod polling;
mod replicas_end;
mod slow_clients;
mod standstill;
mod turnover;

/// Whether there is time for all of it.
fn is_torture() -> bool {
    std::env::var_os("BROKKR_TORTURE").is_some()
}
