//! `guest`: invites and looks after guests, over the directory API ([`api`]).
//!
//! What a command is for goes to standard output, everything else to standard error. `--json` prints one object a line. Status 0
//! says that all was done, 1 that it was refused or failed, 2 that the command line is wrong, 3 that a part of it was done.

pub(super) mod api;
mod apps;
mod connection;
mod import;
mod invite;
mod lifecycle;
mod list;
mod out;
mod show;
mod table;
mod who;

use std::{io, process::ExitCode};

use clap::Subcommand;

/// The status that says that a part of it was done.
const PARTLY: u8 = 3;

#[derive(Debug, Subcommand)]
pub(super) enum Guest {
    /// Invites somebody.
    Invite(Box<invite::Invite>),
    /// Invites everybody in a CSV file.
    Import(Box<import::Import>),
    /// Lists guests.
    List(Box<list::List>),
    /// Shows all about one guest: state, invitation and its mail, sponsors, apps.
    Show(Box<show::Show>),
    /// Sends a guest who has not come yet a new link, which ends the one before.
    Resend(Box<invite::Resend>),
    /// Takes an invitation back: its link ends, and its guest does not come in until invited once more.
    Revoke(Box<lifecycle::Revoke>),
    /// Has a guest prove once more who they are, with a new invitation; object, apps and rights stay.
    Reset(Box<invite::Reset>),
    /// Blocks a user: sessions end, and there are no new ones.
    Block(Box<lifecycle::Block>),
    /// Lets a blocked user in again.
    Unblock(Box<lifecycle::Unblock>),
    /// Deletes a user, who can be restored for 30 days.
    Delete(Box<lifecycle::Delete>),
    /// Makes a guest a member, or a member a guest.
    Convert(Box<lifecycle::Convert>),
    /// Restores a deleted user.
    Restore(Box<lifecycle::Restore>),
    /// Assigns a user to an app.
    Assign(Box<apps::Assign>),
    /// Takes a user's assignment to an app back.
    Unassign(Box<apps::Unassign>),
}

impl Guest {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let ended = match self {
            Self::Import(import) => import.run().await,
            Self::Invite(invite) => invite.run().await.map(success),
            Self::List(list) => list.run().await.map(success),
            Self::Show(show) => show.run().await.map(success),
            Self::Resend(resend) => resend.run().await.map(success),
            Self::Revoke(revoke) => revoke.run().await.map(success),
            Self::Reset(reset) => reset.run().await.map(success),
            Self::Block(block) => block.run().await.map(success),
            Self::Unblock(unblock) => unblock.run().await.map(success),
            Self::Delete(delete) => delete.run().await.map(success),
            Self::Convert(convert) => convert.run().await.map(success),
            Self::Restore(restore) => restore.run().await.map(success),
            Self::Assign(assign) => assign.run().await.map(success),
            Self::Unassign(unassign) => unassign.run().await.map(success),
        };
        match ended {
            // Who reads has seen enough, as `head` has.
            Err(error) if error.downcast_ref().is_some_and(|error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe) => {
                Ok(ExitCode::SUCCESS)
            }
            ended => ended,
        }
    }
}

fn success((): ()) -> ExitCode {
    ExitCode::SUCCESS
}

/// Ready when somebody asks the command to stop: Ctrl-C or SIGTERM. From then on a second one ends it at once.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else {
        return std::future::pending().await;
    };
    let mut next = async move || {
        tokio::select! {
            _ = interrupt.recv() => 130,
            _ = terminate.recv() => 143,
        }
    };
    next().await;
    tokio::spawn(async move { std::process::exit(next().await) });
}
