//! The examples are programs that run to their end.

#[path = "../../examples/own_loss.rs"]
mod own_loss;
#[path = "../../examples/own_scores.rs"]
mod own_scores;
#[path = "../../examples/own_teacher.rs"]
mod own_teacher;
#[path = "../../examples/own_tensors.rs"]
mod own_tensors;
#[path = "../../examples/watch_and_resume.rs"]
mod watch_and_resume;

use std::error::Error;

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
