//! Weights to and from `.safetensors` files, with PyTorch's names and layout, so that either side loads the other's (feature
//! `safetensors`).
//!
//! `{layer}.weight` is `[outputs, inputs]` there, the transpose of [`Linear`](crate::nn::Linear)'s; `{layer}.bias` is
//! `[outputs]`; any other parameter is the matrix that it is here. Numbers are `F32`. The VAE's layers are `encoder.0`,
//! `encoder.1`, … and `decoder.0`, …, which is an `nn.ModuleList` of `nn.Linear`, with ReLU between them:
//!
//! ```text
//! class Vae(nn.Module):
//!     def __init__(self, sizes):                                    # [784, 512, 256, 32]
//!         super().__init__()
//!         def layers(s): return nn.ModuleList(nn.Linear(a, b) for a, b in zip(s, s[1:]))
//!         self.encoder, self.decoder = layers(sizes), layers(sizes[::-1])
//! vae.load_state_dict(safetensors.torch.load_file("vae.safetensors"))
//! ```
//!
//! A file is taken whole or not at all: all of its names, shapes and numbers are checked before the first is used.

use super::write_atomically;
use crate::error::{Error, Result};
use crate::params::{ParamId, ParamStore};
use ::safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The header of a file may be as long as this: some thousand names.
const MAX_HEADER: usize = 1 << 20;

/// The file's bytes: the same for the same parameters.
///
/// ```
/// use hardgrad::files::weights;
/// use hardgrad::{Mat, ParamStore};
/// let mut params = ParamStore::new();
/// let w = params.add("net.0.weight", Mat::from_rows(&[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]));
/// let bytes = weights::to_bytes(&params);
/// assert!(bytes.ends_with(&6.0_f32.to_le_bytes()) && bytes[8..].starts_with(b"{\"net.0.weight\":{\"dtype\":\"F32\",\"shape\":[2,3]"));
/// params.flat_mut().fill(0.0);
/// weights::from_bytes(&mut params, &bytes, "net.safetensors".as_ref())?;
/// assert_eq!(params.get(w).row(2), [5.0, 6.0]);
/// # Ok::<(), hardgrad::Error>(())
/// ```
pub fn to_bytes(params: &ParamStore<f32>) -> Vec<u8> {
    let stored: Vec<(&str, Vec<usize>, Vec<u8>)> = params
        .iter()
        .map(|(name, id)| {
            let mut bytes = Vec::with_capacity(4 * params.get(id).data.len());
            for index in order(name, id) {
                bytes.extend_from_slice(&params.get(id).data[index].to_le_bytes());
            }
            (name, shape(name, id), bytes)
        })
        .collect();
    let views = stored.iter().map(|(name, shape, bytes)| {
        (*name, TensorView::new(Dtype::F32, shape.clone(), bytes).expect("as many bytes as the shape has"))
    });
    safetensors::serialize(views, None).expect("names and shapes always make a header")
}

/// Overwrites all of `params` with the weights in `bytes`. `path` is for messages.
///
/// # Errors
/// [`Error::Format`] if it is not a `.safetensors` file; if its tensors are not those of `params`, each with its shape; or if a
/// number is not finite. `params` are as they were then.
pub fn from_bytes(params: &mut ParamStore<f32>, bytes: &[u8], path: &Path) -> Result<()> {
    let wrong = |problem: String| Err(Error::format(path, 0, problem));
    let file = match SafeTensors::deserialize(bytes) {
        Ok(file) => file,
        Err(e) => return wrong(format!("not a whole .safetensors file: {e}")),
    };
    let mut unknown: Vec<_> = file.names();
    unknown.retain(|name| params.iter().all(|(known, _)| known != *name));
    unknown.sort_unstable();
    if let Some(name) = unknown.first() {
        return wrong(format!("found a tensor `{name}`, expected only {}", names(params)));
    }
    let mut values = vec![0.0; params.flat().len()];
    let mut start = 0;
    for (name, id) in params.iter() {
        let Ok(tensor) = file.tensor(name) else {
            return wrong(format!("found no tensor `{name}`, expected {}", names(params)));
        };
        let (found, expected) = (tensor.shape(), shape(name, id));
        if tensor.dtype() != Dtype::F32 || found != expected {
            let dtype = tensor.dtype();
            return wrong(format!("`{name}`: found {dtype:?} {found:?}, expected F32 {expected:?}"));
        }
        for (index, number) in order(name, id).zip(tensor.data().as_chunks().0) {
            let number = f32::from_le_bytes(*number);
            if !number.is_finite() {
                return wrong(format!("`{name}`: found {number}, expected finite numbers"));
            }
            values[start + index] = number;
        }
        start += id.shape().0 * id.shape().1;
    }
    params.flat_mut().copy_from_slice(&values);
    Ok(())
}

/// Writes the weights to a file, which is replaced whole or not at all.
///
/// # Errors
/// [`Error::Io`] if it cannot be written.
pub fn save(params: &ParamStore<f32>, path: &Path) -> Result<()> {
    write_atomically(path, &to_bytes(params))
}

/// Overwrites all of `params` with the weights in a file, of which no more is read than these weights and a header of 1 MiB
/// take.
///
/// # Errors
/// [`Error::Io`] if it cannot be read, otherwise as [`from_bytes`].
pub fn load(params: &mut ParamStore<f32>, path: &Path) -> Result<()> {
    let most = 8 + MAX_HEADER + 4 * params.flat().len();
    let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(|e| Error::io("read", path, e))?;
    if bytes.len() > most {
        let problem = format!("the file goes on, expected at most {most} bytes for {}", names(params));
        return Err(Error::format(path, most as u64, problem));
    }
    from_bytes(params, &bytes, path)
}

/// The shape that PyTorch has.
fn shape(name: &str, id: ParamId) -> Vec<usize> {
    let (rows, cols) = id.shape();
    match () {
        () if name.ends_with(".weight") => vec![cols, rows],
        () if name.ends_with(".bias") && rows == 1 => vec![cols],
        () => vec![rows, cols],
    }
}

/// Where PyTorch's numbers, in their order, stand here.
fn order(name: &str, id: ParamId) -> impl Iterator<Item = usize> {
    let (rows, cols) = id.shape();
    let transposed = name.ends_with(".weight");
    (0..rows * cols).map(move |k| if transposed { k % rows * cols + k / rows } else { k })
}

/// Names and shapes, for messages.
fn names(params: &ParamStore<f32>) -> String {
    let all: Vec<_> = params.iter().map(|(name, id)| format!("`{name}` {:?}", shape(name, id))).collect();
    all.join(", ")
}
