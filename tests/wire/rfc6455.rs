//! RFC 6455 sentence by sentence: the section in a test's name, the sentence above it. Sentences that bind what
//! `wire` cannot see (TCP, TLS, proxies, random numbers, what an application may show) have their tests elsewhere or
//! cannot be tested.

mod s4_client_handshake;
mod s4_server_handshake;
mod s5_control_frames;
mod s5_data_framing;
mod s5_fragmentation;
mod s7_closing;
mod s8_utf8;
