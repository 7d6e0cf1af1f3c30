/* js SCRIPT [WORD]...: runs a script. It has print(...), words, read(path), size(path) and write(path, text). */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quickjs.h"

static JSValue print(JSContext *context, JSValueConst self, int count, JSValueConst *values)
{
	for (int i = 0; i < count; i++) {
		const char *text = JS_ToCString(context, values[i]);
		if (!text)
			return JS_EXCEPTION;
		printf(i ? " %s" : "%s", text);
		JS_FreeCString(context, text);
	}
	puts("");
	return JS_UNDEFINED;
}

static char *load(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	char *data;
	long end;
	if (!file || fseek(file, 0, SEEK_END) || (end = ftell(file)) < 0 || !(data = malloc(end + 1)))
		return NULL;
	rewind(file);
	*size = fread(data, 1, end, file);
	data[*size] = 0;
	fclose(file);
	return data;
}

static JSValue read_(JSContext *context, JSValueConst self, int count, JSValueConst *values)
{
	const char *path = JS_ToCString(context, values[0]);
	size_t size;
	char *data = path ? load(path, &size) : NULL;
	JSValue result = data ? JS_NewStringLen(context, data, size) : JS_ThrowReferenceError(context, "no file %s", path);
	JS_FreeCString(context, path);
	free(data);
	return result;
}

static JSValue size_(JSContext *context, JSValueConst self, int count, JSValueConst *values)
{
	const char *path = JS_ToCString(context, values[0]);
	size_t size;
	char *data = path ? load(path, &size) : NULL;
	JSValue result = data ? JS_NewInt64(context, size) : JS_ThrowReferenceError(context, "no file %s", path);
	JS_FreeCString(context, path);
	free(data);
	return result;
}

static JSValue write_(JSContext *context, JSValueConst self, int count, JSValueConst *values)
{
	size_t size;
	const char *path = JS_ToCString(context, values[0]), *text = JS_ToCStringLen(context, &size, values[1]);
	FILE *file = path && text ? fopen(path, "wb") : NULL;
	int fine = file && fwrite(text, 1, size, file) == size && !fclose(file);
	JSValue result = fine ? JS_UNDEFINED : JS_ThrowReferenceError(context, "cannot write %s", path);
	JS_FreeCString(context, path);
	JS_FreeCString(context, text);
	return result;
}

int main(int count, char **words)
{
	JSContext *context = JS_NewContext(JS_NewRuntime());
	JSValue global = JS_GetGlobalObject(context), list = JS_NewArray(context), result;
	size_t size;
	char *script = count > 1 ? load(words[1], &size) : NULL;
	if (!script) {
		fprintf(stderr, "js SCRIPT [WORD]...\n");
		return 2;
	}
	JS_SetPropertyStr(context, global, "print", JS_NewCFunction(context, print, "print", 1));
	JS_SetPropertyStr(context, global, "read", JS_NewCFunction(context, read_, "read", 1));
	JS_SetPropertyStr(context, global, "size", JS_NewCFunction(context, size_, "size", 1));
	JS_SetPropertyStr(context, global, "write", JS_NewCFunction(context, write_, "write", 2));
	for (int i = 2; i < count; i++)
		JS_SetPropertyUint32(context, list, i - 2, JS_NewString(context, words[i]));
	JS_SetPropertyStr(context, global, "words", list);
	result = JS_Eval(context, script, size, words[1], JS_EVAL_TYPE_GLOBAL | JS_EVAL_FLAG_STRICT);
	if (JS_IsException(result)) {
		const char *text = JS_ToCString(context, JS_GetException(context));
		fprintf(stderr, "js: %s\n", text ? text : "failed");
		return 1;
	}
	return 0;
}
