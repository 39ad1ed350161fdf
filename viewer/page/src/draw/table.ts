// Numbers for shaders: textures of whole rows, four values a texel, and the passes that fill others like them.

import {
  DataTexture,
  FloatType,
  Mesh,
  type Object3D,
  type IUniform,
  OrthographicCamera,
  PlaneGeometry,
  RawShaderMaterial,
  RGBAFormat,
  RGBAIntegerFormat,
  type Scene,
  UnsignedIntType,
  type WebGLRenderer,
} from "three";

/** Texels of a row of every table: a power of two. */
export const TABLE_WIDTH = 2048;

export function tableHeight(texels: number): number {
  return Math.max(1, Math.ceil(texels / TABLE_WIDTH));
}

/** Floats, to be filled again and again; set `texture.needsUpdate` afterwards. */
export interface FloatTable {
  readonly texture: DataTexture;
  readonly values: Float32Array;
}

export function floatTable(texels: number): FloatTable {
  const height = tableHeight(texels);
  const values = new Float32Array(4 * TABLE_WIDTH * height);
  const texture = new DataTexture(values, TABLE_WIDTH, height, RGBAFormat, FloatType);
  texture.internalFormat = "RGBA32F";
  texture.needsUpdate = true;
  return { texture, values };
}

/** Bits, written once: floats and whole numbers side by side. */
export function bitTable(words: Uint32Array<ArrayBuffer>): DataTexture {
  const height = tableHeight(words.length / 4);
  const padded = new Uint32Array(4 * TABLE_WIDTH * height);
  padded.set(words);
  const texture = new DataTexture(padded, TABLE_WIDTH, height, RGBAIntegerFormat, UnsignedIntType);
  texture.internalFormat = "RGBA32UI";
  texture.needsUpdate = true;
  return texture;
}

/** GLSL: where texel `k` of a table lies. */
export const TABLE_GLSL = /* glsl */ `
ivec2 at(int k) { return ivec2(k % ${TABLE_WIDTH}, k / ${TABLE_WIDTH}); }
`;

const PRECISION = /* glsl */ `
precision highp float;
precision highp int;
precision highp sampler2D;
precision highp usampler2D;
`;

/** A material of our own GLSL. */
export function shader(
  vertexShader: string,
  fragmentShader: string,
  uniforms: Record<string, IUniform>,
  rest: Partial<ConstructorParameters<typeof RawShaderMaterial>[0]> = {},
): RawShaderMaterial {
  return new RawShaderMaterial({
    glslVersion: "300 es",
    vertexShader: PRECISION + vertexShader,
    fragmentShader: PRECISION + fragmentShader,
    uniforms,
    transparent: true, // drawn in the order of the layers, like all others
    depthTest: false,
    depthWrite: false,
    ...rest,
  });
}

const EVERYWHERE = /* glsl */ `
in vec3 position;
void main() { gl_Position = vec4(position.xy, 0.0, 1.0); }
`;

const NO_CAMERA = new OrthographicCamera();

/** Draws one thing to what is bound. The shaders know their cameras. */
export function draw(renderer: WebGLRenderer, thing: Object3D): void {
  renderer.render(thing as Scene, NO_CAMERA);
}

/** A thing that covers the viewport. */
export function screenPass(
  fragmentShader: string,
  uniforms: Record<string, IUniform>,
  rest: Partial<ConstructorParameters<typeof RawShaderMaterial>[0]> = {},
): Mesh<PlaneGeometry, RawShaderMaterial> {
  const mesh = new Mesh(new PlaneGeometry(2, 2), shader(EVERYWHERE, fragmentShader, uniforms, rest));
  mesh.frustumCulled = false;
  return mesh;
}
