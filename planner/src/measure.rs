//! Counting what the nodes of a plan do, for `EXPLAIN (ANALYZE)`: each is started within a node that
//! hands its batches on and looks at the clock. Without a measure there is no such node.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use aegis_sql::explain::NodeCounters;
use arrow::array::RecordBatch;
use datafusion::common::Result as DfResult;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::ExecutionPlan;
use futures::stream::{Stream, StreamExt};

use crate::node::Node;
use crate::plan::Plan;
use crate::run::Run;

impl Plan {
    /// What its node is counted by.
    pub(crate) fn address(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }

    /// Its node, counted if that is asked for.
    pub(crate) fn measured(
        &self,
        node: Arc<dyn ExecutionPlan>,
        run: &Arc<Run>,
    ) -> Arc<dyn ExecutionPlan> {
        let Some(measure) = &run.measure else { return node };
        let counters = measure.node(self.address());
        Node::over("Measured", node.schema(), vec![node], move |mut inputs, _| {
            let input = inputs.swap_remove(0);
            let counters = counters.clone();
            Ok(Measured { input, counters, begun: false, given: false }.boxed())
        })
    }
}

struct Measured {
    input: SendableRecordBatchStream,
    counters: Arc<NodeCounters>,
    /// Whether anybody has asked for a row.
    begun: bool,
    /// Whether it has given one.
    given: bool,
}

impl Stream for Measured {
    type Item = DfResult<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !std::mem::replace(&mut self.begun, true) {
            self.counters.begin();
        }
        let clock: Option<Instant> = self.counters.clock();
        let polled = self.input.poll_next_unpin(context);
        self.counters.spent(clock, !self.given);
        if let Poll::Ready(Some(Ok(batch))) = &polled {
            self.counters.gave(batch.num_rows());
            self.given |= batch.num_rows() > 0;
        }
        polled
    }
}
