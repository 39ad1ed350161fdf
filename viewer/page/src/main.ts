import { createStage } from "./stage";
import { exposeForTests } from "./test_hook";

exposeForTests(createStage(document.querySelector("canvas")!));
