// The page becomes plain files in static/, which are committed and ship with the package: whoever installs it needs no Node.
import { defineConfig } from "vite";

export default defineConfig({
  root: "page",
  base: "./",
  build: {
    outDir: "../static",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: false,
    rollupOptions: {
      output: { entryFileNames: "viewer.js", assetFileNames: "viewer[extname]", chunkFileNames: "[name].js" },
    },
  },
  worker: { format: "iife" } // one file that a page on a disk may start too,
});
