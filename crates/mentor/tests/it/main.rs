//! The examples are programs that run to their end.

#[path = "../../examples/fine_tune.rs"]
mod fine_tune;
#[path = "../../examples/own_data_set.rs"]
mod own_data_set;
#[path = "../../examples/own_network.rs"]
mod own_network;
#[path = "../../examples/search.rs"]
mod search;
#[path = "../../examples/server.rs"]
mod server;

use std::error::Error;

#[test]
fn a_data_set_type_of_the_users_own_is_trained_on() -> Result<(), Box<dyn Error>> {
    own_data_set::main()
}

#[test]
fn one_model_answers_many_threads() -> Result<(), Box<dyn Error>> {
    server::main()
}

#[test]
fn images_are_found_by_example() -> Result<(), Box<dyn Error>> {
    search::main()
}

#[test]
fn a_network_of_the_users_own_is_trained() -> Result<(), Box<dyn Error>> {
    own_network::main()
}

#[test]
fn training_starts_from_the_weights_of_another_run() -> Result<(), Box<dyn Error>> {
    fine_tune::main()
}
