//! The invited mailbox, leaving, invitations by mail.

use super::*;

impl Filling {
    fn mailbox(self) -> ProveMailbox {
        ProveMailbox {
            chrome: self.with_account(true),
            because: Because::InvitedAsAnother,
            mailbox: self.text("a***@northwind.example"),
            other: None,
            sent: false,
            action: self.link("/journey/x/mailbox"),
            send: self.link("/journey/x/send-mailbox-code"),
            of_invited: false,
            minutes: 10,
            resent: false,
            error: None,
        }
    }

    fn send_again(self) -> SendAgain {
        SendAgain {
            chrome: self.chrome(),
            action: self.link("/journey/x/confirm"),
            address: self.text("ada.lovelace@fabrikam.example"),
            other: self.link("/contoso.example/invitation"),
            asked: false,
            contact: self.contact(),
            error: None,
        }
    }

    fn invitations(self, blocked: bool) -> InvitationsByMail {
        let address = self.text("ada.lovelace@fabrikam.example");
        InvitationsByMail { chrome: self.chrome(), action: self.link("/journey/x/confirm"), address, blocked }
    }
}

/// All of them.
pub(super) fn all(fill: Filling) -> Vec<Sample> {
    vec![
        sample("prove-mailbox", fill.mailbox()),
        sample(
            "prove-mailbox-error",
            ProveMailbox { sent: true, error: Some(Code::CodeWrong), resent: true, of_invited: true, ..fill.mailbox() },
        ),
        sample(
            "prove-mailbox-address",
            ProveMailbox {
                chrome: fill.chrome(),
                because: Because::AboutTheAddress,
                mailbox: fill.text("ada.lovelace@fabrikam.example"),
                other: Some(fill.link("/contoso.example/block-invitations")),
                sent: true,
                resent: true,
                ..fill.mailbox()
            },
        ),
        sample(
            "confirm-leave",
            ConfirmLeave {
                chrome: fill.with_account(true),
                action: fill.link("/journey/x/confirm"),
                stay: fill.link("/contoso.example"),
                contact: fill.contact(),
            },
        ),
        sample("left", Left { chrome: fill.chrome(), contact: fill.contact() }),
        sample("send-again", fill.send_again()),
        sample("send-again-asked", SendAgain { asked: true, ..fill.send_again() }),
        sample("invitations-allowed", fill.invitations(false)),
        sample("invitations-blocked", fill.invitations(true)),
    ]
}
