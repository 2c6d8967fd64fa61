# Every page
next = Next
continue = Continue
accept = Accept
decline = Decline
cancel = Cancel
sign-in = Sign in
sign-out = Sign out
start-again = Start again
my-apps = My apps
back-to-app = Back to { $app }
title-error = Error:
some-organisation = this organisation
foot-privacy = Privacy statement of { $tenant }
foot-trace = Reference
foot-by = Guest access by Vestibule
account-proven = You are signed in as
account-typed = You are signing in as
account-switch = Use another account
account-retype = Use another address

# What an invitation says before anything is asked
title-invited = Invitation:
invited-heading = You are invited to { $tenant }
invited-by = { $inviter } invites you to work with { $tenant } as a guest.
invited-by-nobody = { $tenant } invites you to work with them as a guest.
invited-leads = Once you have accepted, you are taken to { $host }.
invited-leads-apps = Once you have accepted, you see the apps that { $tenant } shares with you.
invited-trust = Go on only if you know who invites you and expected it.

# Address
identify-heading = Sign in to { $tenant }
identify-heading-app = Sign in at { $tenant } to get to { $app }
identify-lead = Use the e‑mail address that was invited.
identify-lead-another = Type the e‑mail address that you want to use instead.
identify-label = E‑mail address
identify-hint = For example name@organisation.example

# Code by mail
send-heading = Get a code by e‑mail
send-lead = If { $email } was invited, we will send a code there. It shows that the mailbox is yours, and you need no password.
send-lead-invited = We send a code to { $email }. It shows that the mailbox is yours, and you need no password.
send-button = Send code
code-heading = Enter the code
code-lead = If { $email } was invited, a message with a code of 8 digits is on its way there.
code-lead-invited = A message with a code of 8 digits is on its way to { $email }.
code-label = Code
code-hint =
    { $minutes ->
        [one] It works once, for { $minutes } minute, and in this browser only.
       *[other] It works once, for { $minutes } minutes, and in this browser only.
    }
code-none = No message?
code-none-folder = Look in the folder for unwanted mail. It can take a minute or two.
code-none-invited = Codes are sent only to people who were invited. If you think you were, ask your contact at { $tenant } which address they invited.
code-none-often = Only a few codes an hour are sent to one address, whoever asks for them. If there have been too many, try again later.
code-none-address = Look for a typing error in the address above. You can change it there.
code-resend = Send a new code
code-resent = If this address was invited, a new code is on its way, unless one was sent a moment ago. The newest one works.
code-resent-invited = A new code is on its way, unless one was sent a moment ago. The newest one works.

# Other ways
ways-heading = or
way-organisation = Sign in with your organisation
way-organisation-named = Sign in at { $organisation }
way-code = Get a code by e‑mail
way-account = Use an account here

# An account here
password-lead = With your account at { $tenant }.
password-label = Password
password-instead = With a password
password-new = New password
password-new-hint = At least 12 characters. A few words that do not belong together are easy to remember and hard to guess.
password-set-up = Set up with this password
passkey-use = Sign in with a passkey
passkey-set-up = Set up a passkey
passkey-failed = That did not work. Try again, or choose another way below.
account-none = I have no account yet, or cannot get in
account-first-lead = To come in you need an account at { $tenant }. You set it up for { $email }.
account-there = I have an account already
set-up-heading = Set up your account
set-up-lead = Choose how you sign in to { $tenant } from now on. With a passkey you confirm with your fingerprint, your face or the PIN of your device, and have nothing to remember.
set-up-counts = It counts once you have accepted everything that { $tenant } asks for: if you stop before, set it up once more.
set-up-again = What you signed in with before will no longer work, and you are signed out everywhere else.

# Going on
leaving-home-heading = Going to { $name }
leaving-home-lead = You sign in at your own organisation, { $name }, and come back here afterwards. Your password stays there.
leaving-app-heading = Opening { $name }
leaving-app-lead = You are being taken to { $name }.
leaving-invited-heading = Welcome to { $name }
leaving-invited-lead = You are being taken to { $host }, where { $name } awaits you.
leaving-signed-out-heading = You are signed out
leaving-signed-out-lead = You are being taken back to { $name }.
resume-heading = All set
resume-lead = You can now enter { $tenant }.
resume-lead-app = You can now open { $app } at { $tenant }.

# Review of permissions
review-heading = Review permissions
review-lead = { $tenant } wants to welcome you as a guest. Please read what that means for your data.
review-lead-app = { $tenant } wants to share { $app } with you as a guest. Please read what that means for your data.
review-lead-again = { $tenant } asks you to review what you have agreed to.
review-requester = Requested by
review-invited-as = The invitation was sent to { $address }. You are about to accept it with the account shown above.
review-shared = What is shared
review-shared-name = Your name
review-shared-email = Your e‑mail address
review-shared-ids = Identifiers that tell your account from others
review-allowed = What { $tenant } may do
review-allowed-receive = Receive this profile data
review-allowed-log = Collect and log what you do in its apps
review-allowed-use = Use both to give you access and to keep it safe
review-privacy = Privacy
review-statement = Read the privacy statement of { $tenant }
review-contact = Questions about your data:
review-no-statement = { $tenant } has not provided a privacy statement.
review-no-privacy = { $tenant } has provided neither a privacy statement nor a contact for you to look at.
review-trust = Accept only if you trust { $tenant } and expected to be asked.
review-later = Nothing is shared until you accept.

# Terms of use
terms-heading = Terms of use
terms-lead = Before you enter, { $tenant } asks you to agree to these terms.
terms-lead-app = Before you open { $app }, { $tenant } asks you to agree to these terms.
terms-position = Agreement { $number } of { $of }
terms-kind-pdf = PDF
terms-kind-page = Document
terms-version = Version { $version }
terms-published = since { $day }
terms-open = Open the document
terms-must-open = Open the document first, in a new tab. Then accept here.
terms-may-open = Opens in a new tab.
terms-opened = You have opened this document.
terms-decline-hint = If you decline, you are not signed in. You can come back and accept at any time.
document-close = You can close this tab and go on where you came from.

# Apps
panel-heading = My apps
panel-greeting = Welcome, { $name }
panel-lead =
    { $apps ->
        [one] { $tenant } shares this app with you.
       *[other] { $tenant } shares these apps with you.
    }
panel-empty = { $tenant } has not shared an app with you yet
panel-ask = To get access, ask
panel-ask-host = To get access, ask the person at { $tenant } who invited you.
panel-missing = Something missing? Ask

# The invited mailbox
mailbox-heading = Is this mailbox yours?
mailbox-lead-invited = { $tenant } invited { $address }, and you are signed in with another address. To accept the invitation with this account, show that the invited mailbox is yours, too.
mailbox-lead-set-up = To set up your account at { $tenant }, show that { $address } is yours. So nobody else can, and you get in again if you ever lose what you sign in with.
mailbox-lead-address = To change what { $tenant } sends to { $address }, show that this mailbox is yours.

# Leaving
panel-leave = Leave { $tenant }
leave-heading = Leave { $tenant }
leave-identify-lead = First show who you are. Use the e‑mail address of your guest account.
leave-lead = You give up your guest account at { $tenant }. This is what it means:
leave-ends-access = You can no longer open what { $tenant } shares with you.
leave-ends-sessions = You are signed out at once, on all your devices.
leave-days = For 30 days an administrator of { $tenant } can bring your guest account back as it was. After that it is deleted for good.
leave-elsewhere = What you use in other organisations, and your own account, stay as they are.
leave-ask = Questions, or a change of mind:
leave-button = Leave { $tenant }
leave-stay = Stay
left-heading = You have left { $tenant }
left-lead = Your guest account at { $tenant } has ended, and you are signed out on all your devices.

# Invitations by mail
invitations-heading = Invitations by e‑mail from { $tenant }
invitations-identify-lead = Type the e‑mail address that the invitation went to.
invitations-allowed = { $tenant } can send invitations to { $address }.
invitations-blocked = { $tenant } sends no more invitations to { $address }.
invitations-what = This is about invitations only. Guest accounts that exist stay as they are, and codes for signing in are still sent when you ask for them.
invitations-block = Stop invitations
invitations-allow = Allow invitations again

# An invitation once more
refusal-send-again = Have an open invitation sent to me
again-heading = Your invitation from { $tenant }
again-lead = If { $tenant } has invited { $address } and the invitation was not accepted yet, we send a new one there. Links of earlier ones then end.
again-button = Send it
again-asked = If an invitation to { $address } waits to be accepted, a new one is on its way there, unless one was sent a moment ago.
again-none = Nothing comes? Look in the folder for unwanted mail, check the address for typing errors, or ask your contact at { $tenant } which address they invited.

# Signing out
out-heading = Sign out?
out-lead = This ends your session at { $tenant } in this browser.
out-lead-app = { $app } asks to sign you out. This ends your session in this browser.
out-stay = Stay signed in
signed-out-heading = You are signed out
signed-out-lead = Your session at { $tenant } has ended.
signed-out-home = You may still be signed in at { $organisation }. On a shared computer, sign out there too.
signed-out-again = Sign in again

# Refusals
refusal-organisation = This link leads to
refusal-home = Your home organisation
refusal-invited-as = Invited address
refusal-ask = Whom to ask:
refusal-code = Code
organisation-label = The organisation's domain
organisation-hint = For example contoso.example
declined-heading = You have not been signed in

# Days and languages
day = { $day } { $month } { $year }
month-1 = January
month-2 = February
month-3 = March
month-4 = April
month-5 = May
month-6 = June
month-7 = July
month-8 = August
month-9 = September
month-10 = October
month-11 = November
month-12 = December
language-da = Danish
language-de = German
language-en = English
language-es = Spanish
language-fr = French
language-it = Italian
language-ja = Japanese
language-nl = Dutch
language-pl = Polish
language-pt = Portuguese
language-sv = Swedish
language-zh = Chinese
