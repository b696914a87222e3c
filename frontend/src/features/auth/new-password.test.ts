import { expect, it } from "vitest";
import { texts } from "@/texts";
import { newPasswordErrors } from "./new-password";

const { tooShort, tooLong, mismatch } = texts.newPassword;

it.each([
  ["12345678", "12345678", {}],
  ["1234567", "1234567", { password: tooShort }],
  ["12345678", "1234567 ", { repeat: mismatch }],
  ["short", "", { password: tooShort, repeat: mismatch }],
  // Eight characters and sixteen units; four characters and eight units.
  ["🌧🌧🌧🌧🌧🌧🌧🌧", "🌧🌧🌧🌧🌧🌧🌧🌧", {}],
  ["🌧🌧🌧🌧", "🌧🌧🌧🌧", { password: tooShort }],
  ["x".repeat(256), "x".repeat(256), {}],
  ["x".repeat(257), "x".repeat(257), { password: tooLong }],
])("%j repeated as %j", (password, repeat, errors) => {
  expect(newPasswordErrors(password, repeat)).toEqual(errors);
});
