//! The control of Asterisk: the call machine over arbitrary orders, and the session against a peer
//! that does what a real Asterisk rarely does.

#[path = "ari/machine.rs"]
mod machine;
