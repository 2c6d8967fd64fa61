//! How often the layer allocates for an authenticated request, beside the bare service. Exact, and the same on every machine.

mod provider;

use std::io::Write;

use self::provider::{App, CASES, World, call};

fn main() -> std::io::Result<()> {
    let mut world = World::start();
    let mut out = std::io::stdout().lock();
    for (case, name) in CASES.iter().enumerate() {
        let (bare_request, request) = (world.request(case), world.request(case));
        let mut answers = (None, None);
        let bare = allocation_counter::measure(|| answers.0 = Some(call(&mut App, bare_request)));
        let with = allocation_counter::measure(|| answers.1 = Some(call(&mut world.behind, request)));
        assert!(answers.0.is_some() && answers.1.is_some_and(|answer| answer.status() == 200), "{name}");
        writeln!(out, "{name}: {} more than the bare service's {}", with.count_total - bare.count_total, bare.count_total)?;
    }
    Ok(())
}
