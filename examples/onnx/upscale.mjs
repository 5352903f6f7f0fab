// A tile through an exported file, in a browser (onnxruntime-web) or in Node (onnxruntime-node).
// `ort` is either module, `rgba` the data of a canvas' ImageData, of the size of the file's tile.
export async function upscale(ort, session, rgba, width, height) {
  const count = width * height;
  const lq = new Float32Array(3 * count);
  for (let i = 0; i < count; i++)
    for (let c = 0; c < 3; c++) lq[c * count + i] = rgba[4 * i + c] / 255;
  const input = new ort.Tensor("float32", lq, [1, 3, height, width]);
  const { output } = await session.run({ input });
  const [, , rows, columns] = output.dims;
  const made = new Uint8ClampedArray(4 * rows * columns).fill(255);
  for (let i = 0; i < rows * columns; i++)
    for (let c = 0; c < 3; c++) made[4 * i + c] = 255 * output.data[c * rows * columns + i];
  return { rgba: made, width: columns, height: rows, values: output.data };
}
