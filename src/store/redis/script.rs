//! The scripts that run inside Redis.

use std::sync::LazyLock;

use redis::{Cmd, Script as Digested};

/// One of them. They are loaded when a connection is made and called by their digest.
pub(super) struct Script(LazyLock<Digested>, &'static str);

macro_rules! scripts {
    ($($name:ident = $file:literal;)*) => {
        $(pub(super) static $name: Script = Script(LazyLock::new(|| Digested::new(include_str!($file))), include_str!($file));)*
        pub(super) static SCRIPTS: [&Script; [$($file),*].len()] = [$(&$name),*];
    };
}

scripts! {
    COMMIT = "commit.lua";
    SCAN = "scan.lua";
    SETTLE = "settle.lua";
    SWEEP = "sweep.lua";
    TAIL = "tail.lua";
}

impl Script {
    pub(super) fn text(&self) -> &'static str {
        self.1
    }

    /// A call; the number of keys, the keys and the arguments are to be added.
    pub(super) fn call(&self) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(self.0.get_hash());
        command
    }
}
