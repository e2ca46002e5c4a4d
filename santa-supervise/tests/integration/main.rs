//! Drives the real binary and its client with scripted services. Each file is a
//! promise; `support` makes the supervisor, `machine_laws` drives the core alone.

#[macro_use]
mod support;

#[cfg(target_os = "linux")]
mod blocking;
mod configuration;
mod control;
#[cfg(target_os = "linux")]
mod early;
mod environment;
mod exit_code;
mod faults_page;
#[cfg(target_os = "linux")]
mod floods;
mod health;
mod hooks;
mod inherited;
mod insight;
#[cfg(target_os = "linux")]
mod launcher;
mod machine_laws;
#[cfg(target_os = "linux")]
mod many;
#[cfg(target_os = "linux")]
mod orphans;
mod output;
mod processes;
mod reload;
mod restart;
mod rolling;
#[cfg(target_os = "linux")]
mod scarcity;
mod sockets;
mod start_order;
mod stop;
#[cfg(target_os = "linux")]
mod surroundings;
