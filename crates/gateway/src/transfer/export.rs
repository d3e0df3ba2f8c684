//! All users of a store as lines, in the order of their ids, a page at a time.

use std::sync::Arc;

use gateway_core::{Attr, Page, Selection, UserStore};
use tokio::sync::mpsc;

use super::{Failure, form};
use crate::service::Gateway;

/// The users of a page.
const USERS: usize = 256;

/// Some users, a line each.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Lines {
    /// How many.
    pub users: u64,
    /// How many of them have a secret document, which is not shown.
    pub secrets: u64,
    /// The lines.
    pub text: Vec<u8>,
}

/// Gives out all users. Whoever is there throughout is given out once, as it is when its page is read.
///
/// # Errors
/// When the store fails, or a record is damaged.
pub async fn export<S: UserStore>(gateway: Arc<Gateway<S>>, out: mpsc::Sender<Lines>) -> Result<(), Failure> {
    let clock = gateway.clock();
    let mut page = Page { after: None, of: Selection::All, limit: USERS };
    loop {
        let users = gateway.store.list(&page).await?;
        page.after = users.last().map(|user| user.id);
        let (is_last, now) = (users.len() < page.limit, clock());
        let mut lines = Lines { users: users.len() as u64, ..Lines::default() };
        for user in &users {
            lines.secrets += u64::from(user.profile.text_of_document(Attr::SecureMetadata).is_some());
            lines.text.extend(form::write(user, now));
            lines.text.push(b'\n');
        }
        if out.send(lines).await.is_err() || is_last {
            return Ok(());
        }
    }
}
