//! The examples are programs that run to their end.

#[path = "../../examples/fine_tune.rs"]
mod fine_tune;
#[path = "../../examples/own_data_set.rs"]
mod own_data_set;
#[path = "../../examples/own_loss.rs"]
mod own_loss;
#[path = "../../examples/own_network.rs"]
mod own_network;
#[path = "../../examples/own_scores.rs"]
mod own_scores;
#[path = "../../examples/own_teacher.rs"]
mod own_teacher;
#[path = "../../examples/own_tensors.rs"]
mod own_tensors;
#[path = "../../examples/search.rs"]
mod search;
#[path = "../../examples/server.rs"]
mod server;
#[path = "../../examples/watch_and_resume.rs"]
mod watch_and_resume;

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

#[test]
fn images_that_a_program_made_are_trained_on() -> Result<(), Box<dyn Error>> {
    own_tensors::main()
}

#[test]
fn a_loss_of_the_users_own_has_the_real_loop() -> Result<(), Box<dyn Error>> {
    own_loss::main()
}

#[test]
fn what_is_no_model_of_mentors_teaches() -> Result<(), Box<dyn Error>> {
    own_teacher::main()
}

#[test]
fn scores_of_any_program_are_judged() -> Result<(), Box<dyn Error>> {
    own_scores::main()
}

#[test]
fn a_configuration_is_trained_watched_stopped_and_continued() -> Result<(), Box<dyn Error>> {
    watch_and_resume::main()
}
