# Mails. Names are cleaned of control characters before they come here.

# An organisation without any name that can be shown.
mail-organisation-unnamed = your host organisation

# The name of the sender, where the organisation has chosen none.
mail-from = { $organisation } via { $operator }

mail-greeting = Hello,
mail-greeting-name = Hello { $name },

mail-passcode-subject = Your code for { $organisation }
mail-passcode-asked = Somebody, probably you, wants to prove to { $organisation } that this e-mail address is theirs.
mail-passcode-asked-domain = Somebody, probably you, wants to prove to { $organisation } ({ $domain }) that this e-mail address is theirs.
mail-passcode-enter = Type this code on the page that asks for it:
mail-passcode-lifetime = { $minutes ->
    [one] It works once, within one minute.
   *[other] It works once, within { $minutes } minutes.
}
mail-passcode-ignore = You did not ask for a code? Then ignore this message: without the code nobody can prove that your address is theirs.
mail-passcode-never-tell = Never tell the code to anybody. Nobody will ever call or write to ask you for it.
mail-passcode-origin = The page that asks for the code is at { $origin }. Check the address before you type.
mail-automatic = This message was sent automatically; answers are not read.
mail-contact = Questions? Ask: { $contact }

mail-invitation-subject = { $inviter } invited you to collaborate with { $organisation }
mail-invitation-subject-nobody = You are invited to collaborate with { $organisation }
mail-invitation-warning = Accept this invitation only if you know who sent it and expected it. Otherwise do not follow the link.
mail-invitation-heading = You are invited to { $organisation }
mail-invitation-invited = { $inviter-in-full } invites you to work with { $organisation-in-full } as a guest.
mail-invitation-invited-nobody = { $organisation-in-full } invites you to work with them as a guest.
mail-invitation-for = The invitation is for { $address }.
mail-invitation-message = { $inviter } writes:
mail-invitation-accept = Accept invitation
mail-invitation-copy = The same link, to be copied into a browser:
mail-invitation-leads = The link opens { $origin }. Once you have accepted, you are taken to { $host }.
mail-invitation-leads-apps = The link opens { $origin }. Once you have accepted, you see the apps that { $organisation } shares with you.
mail-invitation-until = The link works until { $moment }.
mail-invitation-for-ever = The link does not expire.
mail-invitation-alone = It is meant for you alone: do not forward it.
mail-invitation-privacy = How { $organisation } handles your data:
mail-invitation-no-privacy = { $organisation } has published no privacy statement.
mail-invitation-block = You want no more invitations from { $organisation }? Block them here:
mail-invitation-answers = This message was sent automatically; answers go to { $inviter-in-full }.

# To whoever the inviter wants to know of it.
mail-notice-subject = Somebody was invited to collaborate with { $organisation }
mail-notice-heading = For your information
mail-notice-invited = { $inviter-in-full } has invited { $guest } to work with { $organisation-in-full } as a guest, and wants you to know.
mail-notice-invited-nobody = { $organisation-in-full } has invited { $guest } to work with them as a guest, and wants you to know.
mail-notice-nothing-to-do = There is nothing for you to do: the link that accepts the invitation is in the guest's own message.
