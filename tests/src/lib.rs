//! The real binaries, deployed from the real `template.yaml` to an emulator of AWS on this machine: what only shows when
//! queues, roles, settings and functions meet. Run them with `.ci/test -p trefoil-tests`.
//!
//! Must not know how the product is built inside: it speaks HTTP and SQS, and reads what arrives at the stand-ins of the
//! vendors' APIs (`trefoil-standins`), whose webhooks are signed as the vendors sign. One exception: `emulated.py` moves
//! what is due nearer, since nobody can wait for it.
//! `tests/twosided` is apart from all this: the steps in one process, without AWS.
//!
//! The emulator is ministack (<https://pypi.org/project/ministack/>), a Python program without containers. What to know
//! of version 1.5.33, all of it tried:
//!
//! - `sam deploy` of the template takes 10 s with small binaries. Functions run as processes of this machine, one
//!   for each copy, and are kept between calls: 0.01 s a call, and only for the architecture of this machine.
//! - With `AUTH=true` each function runs with the rights of its role alone, and what the role does not allow is denied, so
//!   these tests also prove that the roles in the template are enough. The mappings themselves poll without rights.
//! - Layers are not put at `/opt` for Rust functions: `TREFOIL_CONFIG` is given by the parameter `ConfigPath`.
//! - A FIFO queue is read by one copy of its consumer, whatever `MaximumConcurrency` says: nothing here shows how copies
//!   get on with each other. A batch may hold several messages of one group.
//! - `ChangeMessageVisibility` in the function sets when a message that it gives back returns; the queue's time otherwise.
//! - A message goes to the dead-letter queue when it would be received once more than `maxReceiveCount`, so after the last
//!   visibility time has passed; it keeps its deduplication id there (AWS puts its message id in place). When a function
//!   fails as a whole, its mapping rests for 1 s.
//! - `rate(1 minute)` fires from 60 to 70 s after the deployment and every minute then.
//! - The function URL is served at `/_aws/lambda-url/<id>/` too. `HEAD` reaches the function. Bodies of
//!   `application/json` and `text/*` arrive as text, all others as base64.
//! - Towards an endpoint without TLS the functions wait sixty times as long as towards AWS (`platform/aws`): nothing here shows
//!   their limits of time.
//! - What a function prints is in its log group, shown by [`Deployment`] when a wait ends without its state.
//! - Alarms are created and never judged. `StartMessageMoveTask` does not exist.

pub mod build;
mod deployment;
mod emulator;
mod waiting;

pub use deployment::{CLIENT_SECRET, CUSTOMERIO_ACTIONS_KEY, Deployment, PIPELINES_SECRET, Paused, Queue, SEGMENT_SECRET, Tool};
pub use waiting::until;
