//! Files of weights: what is read, and what is refused and why.

use mentor_backbone::{Architecture, Backbone, BackboneError, Layout, tensor_shapes};

use crate::made_weights::{file, of, weight};

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/files/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn error(bytes: &[u8]) -> String {
    let error = Backbone::from_bytes(bytes, None).err().unwrap();
    let text = error.to_string();
    assert!(!text.contains('\n') && text.len() < 300, "{text}");
    text
}

#[test]
fn a_pickle_that_names_code_is_refused_by_that_name_and_nothing_runs() {
    for form in ["zip", "legacy"] {
        let text = error(&fixture(&format!("command.{form}.pt")));
        assert_eq!(text, "names posix.system, which is no weight; a pickle that names code is not read");
        assert!(
            error(&fixture(&format!("module.{form}.pt")))
                .starts_with("names torch.nn.modules.linear.Linear,")
        );
    }
    assert!(!std::path::Path::new("/tmp/mentor-was-here").exists());
}

#[test]
fn what_is_no_network_is_said_in_one_line() {
    for form in ["zip", "legacy"] {
        let name = |name: &str| fixture(&format!("{name}.{form}.pt"));
        let optimizer =
            "holds the state of an optimiser and no weights, which torch.save does not write for weights";
        assert_eq!(error(&name("optimizer")), optimizer);
        assert_eq!(error(&name("nan")), "weight holds a value that is not finite");
        assert_eq!(
            error(&name("nested")),
            "is of no known network: its 2 tensors begin with 0.bias, 0.weight"
        );
    }
    assert_eq!(error(b""), "is no file of weights: it is empty");
    assert_eq!(error(b"\x89HDF\r\n\x1a\n"), "is no file of weights: it is an HDF5 file");
    assert_eq!(error(b"PK\x03\x04 and no more"), error(b"PK\x03\x04 and no more"));
    let missing = Backbone::open("no/such/file".as_ref(), None).err().unwrap();
    assert!(matches!(missing, BackboneError::Io { .. }));
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused_and_never_panics() {
    for name in ["values.zip.pt", "values.legacy.pt", "nested.legacy.pt", "optimizer.zip.pt"] {
        let whole = fixture(name);
        for end in 0..whole.len() {
            error(&whole[..end]);
        }
    }
    let resnet = file(Architecture::find("resnet-18").unwrap(), Layout::Timm, 1.0);
    assert!(error(&resnet[..resnet.len() / 2]).starts_with("is damaged: "));
}

#[test]
fn a_file_with_any_byte_changed_is_read_or_refused_and_never_panics() {
    for name in ["values.zip.pt", "values.legacy.pt", "nested.legacy.pt", "command.legacy.pt"] {
        let whole = fixture(name);
        for at in 0..whole.len() {
            for value in [0, 0xff, whole[at] ^ 1, whole[at] ^ 0x80, b'.', b'R', b'h', b'(', 0x8a] {
                let mut changed = whole.clone();
                changed[at] = value;
                assert!(Backbone::from_bytes(&changed, None).is_err());
            }
        }
    }
}

/// The tensors of a small residual network, changed by `change`.
fn changed(change: impl Fn(&mut Vec<(String, Vec<usize>, Vec<f32>)>)) -> Vec<u8> {
    let network = Architecture::find("resnet-18").unwrap();
    let mut tensors: Vec<_> = tensor_shapes(network, Layout::Timm)
        .into_iter()
        .map(|(name, shape)| {
            let values = weight(&name, &shape, 1.0);
            (name, shape, values)
        })
        .collect();
    change(&mut tensors);
    of(tensors.into_iter())
}

#[test]
fn every_tensor_must_be_there_in_its_shape_and_have_a_place() {
    let lacks = changed(|tensors| tensors.retain(|(name, ..)| name != "layer3.1.bn2.bias"));
    assert_eq!(error(&lacks), "looks like resnet-18, but lacks layer3.1.bn2.bias");
    let more = changed(|tensors| tensors.push(("layer1.0.se.weight".to_owned(), vec![1], vec![0.0])));
    assert_eq!(error(&more), "looks like resnet-18, but layer1.0.se.weight has no place in it");
    let wide = changed(|tensors| {
        tensors[0].1 = vec![64, 3, 7, 6];
        tensors[0].2.truncate(64 * 3 * 7 * 6);
    });
    let text = "looks like resnet-18, but conv1.weight is [64, 3, 7, 6] instead of [64, 3, 7, 7]";
    assert_eq!(error(&wide), text);
    let negative = changed(|tensors| tensors[4].2[3] = -0.5);
    assert_eq!(error(&negative), "bn1.running_var holds a negative variance");
    let deeper = changed(|tensors| {
        let block: Vec<_> =
            tensors.iter().filter(|(name, ..)| name.starts_with("layer4.1.")).cloned().collect();
        tensors.extend(
            block.into_iter().map(|(name, shape, values)| (name.replace("4.1.", "4.2."), shape, values)),
        );
    });
    assert_eq!(error(&deeper), "is of no known network: a residual network of [2, 2, 2, 3] basic blocks");
}

#[test]
fn wrappers_and_counters_do_not_matter() {
    let plain = changed(|_| {});
    let wrapped = changed(|tensors| {
        tensors.push(("bn1.num_batches_tracked".to_owned(), vec![], vec![3.0]));
        tensors.iter_mut().for_each(|(name, ..)| name.insert_str(0, "module."));
    });
    let [plain, wrapped] = [plain, wrapped].map(|file| Backbone::from_bytes(&file, None).unwrap());
    assert_eq!((plain.skipped.len(), wrapped.skipped.len()), (0, 1));
    assert_eq!((plain.num_used, wrapped.num_used), (102, 102));
    let pixels = vec![0.5; 32 * 32 * 3];
    assert_eq!(plain.network.features(&pixels, [32, 32]), wrapped.network.features(&pixels, [32, 32]));
    assert_eq!(plain.network.num_classes(), Some(10));
}

/// A file of the older form with one tensor `w`: a view of a storage of `len` values.
fn view_of(len: i32, offset: i32, size: i32, stride: i32) -> Vec<u8> {
    let number = |value: i32| [&b"J"[..], &value.to_le_bytes()].concat();
    let text = |text: &str| [&[b'U', text.len() as u8], text.as_bytes()].concat();
    let storage =
        [text("storage"), b"ctorch\nFloatStorage\n".to_vec(), text("0"), text("cpu"), number(len)].concat();
    let parts: [&[u8]; 13] = [
        b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.\x80\x02}",
        &text("w"),
        b"ctorch._utils\n_rebuild_tensor_v2\n((",
        &storage,
        b"tQ",
        &number(offset),
        &number(size),
        b"\x85",
        &number(stride),
        b"\x85\x89}tRs.\x80\x02]",
        &text("0"),
        b"a.",
        &i64::from(len).to_le_bytes(),
    ];
    let mut file = parts.concat();
    file.resize(file.len() + 4 * len.clamp(0, 1000) as usize, 0);
    file
}

#[test]
fn a_view_beyond_its_storage_is_refused() {
    assert_eq!(error(&view_of(6, 1, 3, 2)), "is of no known network: its 1 tensors begin with w");
    for [offset, size, stride] in [[2, 3, 2], [6, 1, 1], [0, 7, 1], [0, i32::MAX, i32::MAX], [i32::MAX, 1, 0]]
    {
        assert_eq!(error(&view_of(6, offset, size, stride)), "is damaged: w reaches beyond its storage");
    }
    for [offset, size, stride] in [[-1, 1, 1], [0, -1, 1], [1, 2, -1]] {
        assert!(error(&view_of(6, offset, size, stride)).starts_with("holds a tensor with a negative size"));
    }
}

#[test]
fn no_file_takes_more_than_its_limits() {
    // One value, read two thousand million times.
    assert_eq!(error(&view_of(1, 0, i32::MAX, 0)), "is damaged: more values than any of the networks");
    // A storage that the file does not hold.
    assert_eq!(error(&view_of(i32::MAX, 0, 1, 1)), "is damaged: it ends before its storages do");
    let mut long = view_of(6, 0, 1, 1)[..14].to_vec();
    long.extend_from_slice(b".\x80\x02X\xff\xff\xff\x7f");
    assert_eq!(error(&long), "holds a text of 2147483647 bytes, which torch.save does not write for weights");
    // Lists in lists, as deep as the file is long.
    let mut deep = view_of(6, 0, 1, 1)[..15].to_vec();
    deep.extend_from_slice(b"\x80\x02M\xe9\x03.\x80\x02}.\x80\x02");
    deep.extend(std::iter::repeat_n(*b"]", 500_000).flatten());
    deep.extend(std::iter::repeat_n(*b"a", 499_999).flatten());
    deep.extend_from_slice(b".\x80\x02].");
    assert_eq!(
        error(&deep),
        "holds a list instead of tensors by name, which torch.save does not write for weights"
    );
}
