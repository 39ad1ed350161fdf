// The page becomes plain files in static/, which are committed and ship with the package: whoever installs it needs no Node.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig, type Plugin } from "vite";

/** Writes what the page was built from beside it, so that a test without Node can tell whether it is up to date. */
function sourceHash(): Plugin {
  return {
    name: "source-hash",
    generateBundle() {
      const hash = createHash("sha256");
      const files = readdirSync("page", { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name).replaceAll("\\", "/"));
      for (const name of [...files, "vite.config.ts"].sort()) {
        hash.update(`${name}\0`).update(readFileSync(name)).update("\0");
      }
      this.emitFile({ type: "asset", fileName: "build.json", source: `{"sources": "${hash.digest("hex")}"}\n` });
    },
  };
}

export default defineConfig({
  root: "page",
  base: "./",
  plugins: [sourceHash()],
  build: {
    outDir: "../static",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: false,
    chunkSizeWarningLimit: 800,
    rollupOptions: {
      output: { entryFileNames: "viewer.js", assetFileNames: "viewer[extname]", chunkFileNames: "[name].js" },
    },
  },
  worker: { format: "iife" }, // one file, which a page on a disk may start too
});
