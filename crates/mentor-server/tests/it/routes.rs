//! What each route answers.

use serde_json::{Value, json};

use crate::client::{Running, get, message, post, post_form, send, start};
use crate::model::{Brightness, bitmap, picture};

fn both() -> Running {
    start(vec![Brightness::classifier(), Brightness::embedder()], &Default::default())
}

#[test]
fn a_picture_gets_an_object_and_a_form_a_list_in_its_order() {
    let running = both();
    let answer = post(running.address, "/predict", &picture(255, 255));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body, r#"{"class":"light","probabilities":{"dark":0.0,"light":1.0}}"#);
    assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
    // A tie is the first class, as in mentor predict; what a client calls the bytes does not matter.
    let half = [&b"P5 2 1 2\n"[..], &[1, 1]].concat();
    let called = message("POST", "/predict", "application/x-www-form-urlencoded", &half);
    let found = send(running.address, &called).json();
    assert_eq!(
        found["class"],
        if found["probabilities"]["light"].as_f64() > Some(0.5) { "light" } else { "dark" }
    );
    let found = post_form(running.address, "/predict", &[("a", &picture(0, 0)), ("b", &bitmap(255))]).json();
    assert_eq!([&found[0]["class"], &found[1]["class"]], ["dark", "light"]);
    assert_eq!(
        post_form(running.address, "/predict", &[("a", &picture(0, 0))]).json().as_array().unwrap().len(),
        1
    );
}

#[test]
fn a_model_is_chosen_by_name_and_one_without_classes_refuses_by_name() {
    let running = both();
    let address = running.address;
    post(address, "/predict?model=vectors", &picture(0, 9)).assert_refused(422, "vectors gives embeddings");
    post(address, "/predict?model=other", &picture(0, 9)).assert_refused(404, "no model other");
    let found = post(address, "/embed?model=vectors", &picture(7, 9));
    assert_eq!(found.body, r#"{"embedding":[7.0,9.0]}"#);
    assert_eq!(post(address, "/embed?model=bright%6Eess", &picture(1, 2)).status, 200);
    let found = post(address, "/search?model=vectors&top=2", &picture(120, 120)).json();
    let paths: Vec<&Value> = found["neighbours"].as_array().unwrap().iter().map(|hit| &hit["path"]).collect();
    assert_eq!(paths, ["gray.png", "black.png"]);
    post(address, "/search", &picture(1, 2)).assert_refused(404, "brightness has no pictures to search");
    for top in ["0", "1001", "x", ""] {
        let path = format!("/search?model=vectors&top={top}");
        post(address, &path, &picture(1, 2)).assert_refused(400, "top is a number from 1 to 1000");
    }
    let models = get(address, "/models").json();
    assert_eq!([&models[0]["name"], &models[1]["name"]], ["brightness", "vectors"]);
    assert_eq!(models[0]["classes"], json!(["dark", "light"]));
}

#[test]
fn the_open_inference_protocol_is_answered() {
    let running = both();
    let address = running.address;
    for path in ["/v2/health/live", "/v2/health/ready", "/v2/models/vectors/ready", "/v2"] {
        assert_eq!(get(address, path).status, 200, "{path}");
    }
    get(address, "/v2/models/other").assert_refused(404, "no model other");
    let model = get(address, "/v2/models/brightness").json();
    assert_eq!(model["outputs"][0], json!({"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]}));
    let infer = |model: &str, body: &Value| {
        let path = format!("/v2/models/{model}/infer");
        send(address, &message("POST", &path, "application/json", body.to_string().as_bytes()))
    };
    // A dark and a light picture of 1 × 2 pixels; numbers may stand in lists.
    let pixels = json!([[[[0, 0, 0], [0, 0, 0]]], [[[255, 255, 255], [255, 255, 255]]]]);
    let mut request = json!({
        "id": "7",
        "inputs": [{"name": "image", "datatype": "UINT8", "shape": [2, 1, 2, 3], "data": pixels}],
        "parameters": {"more": 1},
    });
    let found = infer("brightness", &request).json();
    assert_eq!((&found["id"], &found["model_name"]), (&json!("7"), &json!("brightness")));
    let expected = json!([
        {"name": "probabilities", "datatype": "FP32", "shape": [2, 2], "data": [1.0, 0.0, 0.0, 1.0]},
        {"name": "embedding", "datatype": "FP32", "shape": [2, 2], "data": [0.0, 0.0, 255.0, 255.0]},
    ]);
    assert_eq!(found["outputs"], expected);
    request["outputs"] = json!([{"name": "embedding"}]);
    assert_eq!(infer("brightness", &request).json()["outputs"], json!([expected[1]]));
    request["outputs"] = json!([{"name": "probabilities"}]);
    infer("vectors", &request).assert_refused(422, "vectors gives embeddings");
    // P5 2 1 255\n and two bytes, in base64.
    let file = json!({"inputs": [
        {"name": "file", "datatype": "BYTES", "shape": [1], "data": ["UDUgMiAxIDI1NQr//w=="]},
    ]});
    assert_eq!(infer("brightness", &file).json()["outputs"][0]["data"], json!([0.0, 1.0]));
}

#[test]
fn an_inference_request_that_is_wrong_is_refused_with_its_reason() {
    let running = both();
    let infer = |body: &str| {
        let path = "/v2/models/brightness/infer";
        send(running.address, &message("POST", path, "application/json", body.as_bytes()))
    };
    let with = |name: &str, datatype: &str, shape: &str, data: &str| {
        let input = format!(r#"{{"name":"{name}","datatype":"{datatype}","shape":{shape},"data":{data}}}"#);
        infer(&format!(r#"{{"inputs":[{input}]}}"#))
    };
    infer("").assert_refused(400, "EOF");
    infer("{}").assert_refused(400, "missing field `inputs`");
    infer(r#"{"inputs":[]}"#).assert_refused(400, "not one input");
    with("image", "FP32", "[1,1,1,3]", "[1,1,1]").assert_refused(400, "no input image of FP32");
    with("image", "UINT8", "[1,1,1,3]", "[1,1,300]").assert_refused(400, "300 is not from 0 to 255");
    with("image", "UINT8", "[1,1,1,3]", "[1,1]").assert_refused(400, "has 2 numbers");
    with("image", "UINT8", "[0,1,1,3]", "[]").assert_refused(400, "has 0 numbers");
    with("image", "UINT8", "[1,1,1]", "[1]").assert_refused(400, "[N, H, W, 3] is read");
    let huge = "[4294967296,4294967296,1,3]";
    with("image", "UINT8", huge, "[1]").assert_refused(400, "has 1 numbers");
    let many = format!("[{}0]", "0,".repeat(64));
    with("image", "UINT8", "[65,1,1,1]", &many).assert_refused(413, "at most 64 pictures");
    with("file", "BYTES", "[2]", "[\"\"]").assert_refused(400, "has 1 texts");
    with("file", "BYTES", "[1]", "[\"AAAA\"]").assert_refused(422, "picture 1: not an image");
    let input = r#"{"name":"image","datatype":"UINT8","shape":[1,1,1,1],"data":[1]}"#;
    infer(&format!(r#"{{"inputs":[{input}],"outputs":[{{"name":"x"}}]}}"#))
        .assert_refused(400, "no output x");
}

#[test]
fn every_path_of_the_description_is_there_and_no_other() {
    let running = both();
    let described = get(running.address, "/openapi.json").json();
    let mut found = 0;
    for (path, methods) in described["paths"].as_object().unwrap() {
        let path = path.replace("{model}", "brightness");
        for method in methods.as_object().unwrap().keys() {
            let answer = send(running.address, &message(&method.to_uppercase(), &path, "image/x", b"?"));
            assert!(![404, 405].contains(&answer.status) || path == "/search", "{path}: {answer:?}");
            found += 1;
        }
    }
    assert_eq!(found, 15, "a route without a description, or the reverse");
    get(running.address, "/nothing").assert_refused(404, "there is no /nothing");
    get(running.address, "/predict").assert_refused(405, "/predict is not for this method");
}

#[test]
fn the_page_names_no_other_place_and_its_policy_forbids_them() {
    let running = both();
    for path in ["/", "/page.css", "/page.js"] {
        let answer = get(running.address, path);
        assert!(answer.head.contains("content-security-policy: default-src 'none'"), "{}", answer.head);
        assert!(answer.head.contains("x-content-type-options: nosniff"), "{}", answer.head);
        assert!(!answer.body.contains("http://") && !answer.body.contains("https://"), "{path}");
    }
}
