// node run.mjs PACKAGE model.onnx in.rgba WIDTH HEIGHT out.f32, where PACKAGE is installed
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { upscale } from "./upscale.mjs";

const [name, model, picture, width, height, result] = process.argv.slice(2);
const ort = createRequire(process.cwd() + "/")(name);
const session = await ort.InferenceSession.create(readFileSync(model));
const made = await upscale(ort, session, readFileSync(picture), Number(width), Number(height));
writeFileSync(result, new Uint8Array(Float32Array.from(made.values).buffer));
