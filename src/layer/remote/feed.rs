//! Follows the tenant's live feed for as long as the layer lives.

use std::{convert::Infallible, error::Error, pin::pin, sync::Arc, time::Duration};

use futures_util::StreamExt;
use url::Url;

use super::party::Party;
use crate::{
    live::{Broken, Follower},
    outbound::{Authorization, OutboundError},
};

/// The longest line that is read, in bytes: a part of a snapshot is a small fraction of it.
const MAX_LINE: usize = 1 << 20;
/// The first pause after a lost connection.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause: shorter than any silence that closes the door.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Why a connection was given up.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("the feed ended")]
    Ended,
    #[error("a line of the feed is too long")]
    TooLong,
    #[error("the feed's address is malformed")]
    Address,
    #[error(transparent)]
    Broken(#[from] Broken),
    #[error(transparent)]
    Outbound(#[from] OutboundError),
}

/// Follows the feed, and comes back after every loss.
pub(super) async fn follow(party: Arc<Party>) {
    let mut follower = Follower::new(party.config.issuer.tenant());
    let mut pause = FIRST_PAUSE;
    let mut in_touch = true;
    loop {
        let mut heard = false;
        let Err(error) = read(&party, &mut follower, &mut heard).await;
        // A feed that ends after it was heard is a server that restarts, or wants to be asked again: no pause to speak of.
        pause = if heard { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        if heard || in_touch {
            let issuer = party.config.issuer.as_str();
            tracing::warn!(issuer, error = &error as &dyn Error, "out of touch with the live feed; connecting again");
        }
        if matches!(error, Lost::Broken(_) | Lost::TooLong) {
            // What is known may be wrong from here on: begin again with a snapshot.
            follower = Follower::new(party.config.issuer.tenant());
        }
        in_touch = false;
        tokio::time::sleep(jittered(&party, pause)).await;
    }
}

/// Reads one connection to its end. Sets `heard` with the first line.
async fn read(party: &Party, follower: &mut Follower, heard: &mut bool) -> Result<Infallible, Lost> {
    let config = &party.config;
    let url = address(config.issuer.base(), follower).ok_or(Lost::Address)?;
    let id = config.client_id.to_string();
    let who = Authorization::Basic { id: &id, secret: &config.client_secret };
    let idle = Duration::try_from(config.max_silence).unwrap_or(LONGEST_PAUSE);
    let mut pieces = pin!(party.http.stream(&url, who, idle).await?);
    let mut line = Vec::new();
    while let Some(piece) = pieces.next().await {
        for part in piece?.split_inclusive(|byte| *byte == b'\n') {
            if line.len() + part.len() > MAX_LINE {
                return Err(Lost::TooLong);
            }
            line.extend_from_slice(part);
            if line.last() == Some(&b'\n') {
                if follower.take(&line, &party.live, config.clock.now())? {
                    party.changed.notify_one();
                }
                if !std::mem::replace(heard, true) {
                    tracing::info!(issuer = config.issuer.as_str(), "in touch with the live feed");
                }
                line.clear();
            }
        }
    }
    Err(Lost::Ended)
}

/// `{base}/{tenant}/live/v1/feed`, from where the reader is.
fn address(base: &str, follower: &Follower) -> Option<Url> {
    let mut url = Url::parse(&format!("{base}/{}/live/v1/feed", follower.tenant())).ok()?;
    if let Some(at) = follower.position() {
        let (stream, after) = (at.stream.to_string(), at.seq.to_string());
        url.query_pairs_mut().append_pair("stream", &stream).append_pair("after", &after);
    }
    Some(url)
}

/// Between half of a pause and all of it, so that doors do not come back in step.
fn jittered(party: &Party, pause: Duration) -> Duration {
    let mut byte = [0];
    party.config.entropy.fill(&mut byte);
    pause / 2 + (pause / 2) * u32::from(byte[0]) / 255
}
