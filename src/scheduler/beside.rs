//! Beside other daemons: what they paused, and what they left behind.

use super::Scheduler;
use crate::state::StateError;

impl Scheduler {
    /// Takes over which syncs are paused.
    pub(super) async fn look_for_pauses(&mut self) -> Result<(), StateError> {
        for record in self.engine.state().syncs().await? {
            if let Some(plan) = self.plans.get_mut(&record.name) {
                plan.paused = record.paused;
            }
        }
        Ok(())
    }

    /// Asks for syncs whose process died in a run, elsewhere: whoever comes first goes on. What no schedule starts is left
    /// to operators.
    pub(super) async fn take_over(&mut self) -> Result<(), StateError> {
        let abandoned = self.engine.state().abandoned_syncs().await?;
        if abandoned.is_empty() {
            return Ok(());
        }
        let records = self.engine.state().syncs().await?;
        let names = records.into_iter().filter(|record| abandoned.contains(&record.id)).map(|record| record.name);
        let now = self.engine.clock().now();
        for name in names {
            // A run of ours that has only begun to look has not taken the lease yet.
            if self.plans.get(&name).is_some_and(|plan| plan.has_schedule() && !plan.running) {
                self.ask(name, now);
            }
        }
        Ok(())
    }
}
