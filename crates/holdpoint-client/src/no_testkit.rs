//! In builds without the feature `testkit`: there is no testbed, and what would name one is empty.

use std::time::Duration;

use tonic::transport::Channel;

use crate::endpoints::Address;

/// What carries calls to a node.
pub(crate) type Link = Channel;

/// Tells the submissions of one call from those of others. Nobody looks at it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CallTag;

impl CallTag {
    /// The tag of a submission that is given up then.
    pub(crate) const fn until(self, _give_up_at: Duration) -> Self {
        self
    }
}

/// The way into a testbed, of which there is none.
#[derive(Clone, Debug)]
pub(crate) enum Door {}

impl Door {
    /// A tag for a call that begins.
    pub(crate) const fn call(&self) -> CallTag {
        match *self {}
    }

    /// The way to one node for the submissions of one call.
    pub(crate) const fn link(&self, _node: &Address, _tag: CallTag) -> Link {
        match *self {}
    }
}

/// What carries calls over `channel`.
pub(crate) const fn over(channel: Channel) -> Link {
    channel
}
