//! A word from outside that ends what runs.

use tokio::sync::watch;

/// Says the word. Dropping it without saying it cancels nothing.
#[derive(Debug)]
pub struct Canceller(watch::Sender<bool>);

/// Hears the word; clones hear the same one.
#[derive(Debug, Clone)]
pub struct Cancel(watch::Receiver<bool>);

impl Canceller {
    /// A pair of speaker and hearer.
    #[must_use]
    pub fn new() -> (Self, Cancel) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Cancel(receiver))
    }

    /// Ends whatever waits for the other side, now and later. Safe to repeat.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }
}

impl Cancel {
    /// One that never comes.
    #[must_use]
    pub fn never() -> Self {
        Canceller::new().1
    }

    /// Whether the word has been said.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for the word; for ever when nobody is left to say it.
    pub async fn cancelled(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|said| *said).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
